-- Products that are read once more, live, before their return is believed.
select count(*) as units from mart.second_look_wanted
